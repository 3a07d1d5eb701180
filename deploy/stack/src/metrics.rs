//! Reads one figure off a Prometheus page: how the tests see that a refusal was counted.

use anyhow::Result;

/// The sum of all series of `name` whose labels contain `label`; 0 when there are none yet.
pub async fn read(base_url: &str, name: &str, label: &str) -> Result<f64> {
    let page = reqwest::get(format!("{base_url}/metrics")).await?.error_for_status()?.text().await?;
    Ok(sum(&page, name, label))
}

fn sum(page: &str, name: &str, label: &str) -> f64 {
    let of_name = |line: &&str| {
        let rest = line.strip_prefix(name).unwrap_or("");
        rest.starts_with(['{', ' ']) && rest.contains(label)
    };
    page.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn sums_series_of_exactly_that_name() {
        let page = "# TYPE refused counter\nrefused{why=\"a\"} 2\nrefused{why=\"b\"} 3\nrefused_total 9\n";
        assert_eq!(super::sum(page, "refused", ""), 5.0);
        assert_eq!(super::sum(page, "refused", "\"b\""), 3.0);
        assert_eq!(super::sum(page, "absent", ""), 0.0);
    }
}
