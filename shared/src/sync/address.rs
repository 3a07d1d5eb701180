//! Where brokers are: `mqtt://host`, `mqtts://host:port`, or several with commas between them, which are one cluster.

use std::str::FromStr;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Over TLS?
    pub tls: bool,
    /// Its name or address.
    pub host: String,
    /// Its port; 1883 or, with TLS, 8883 when none was given.
    pub port: u16,
}

/// A text that names no broker.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} {reason}")]
pub struct BadAddress {
    url: String,
    reason: &'static str,
}

/// Reads the addresses of a cluster; there is at least one.
///
/// # Errors
/// When one of them is none, or some are with TLS and some without.
pub fn brokers(urls: &str) -> Result<Vec<BrokerAddress>, BadAddress> {
    let all: Vec<BrokerAddress> = urls.split(',').map(|url| url.trim().parse()).collect::<Result<_, _>>()?;
    if all.iter().any(|it| it.tls != all[0].tls) {
        return Err(BadAddress { url: urls.into(), reason: "mixes mqtt:// and mqtts://" });
    }
    Ok(all)
}

impl FromStr for BrokerAddress {
    type Err = BadAddress;

    fn from_str(url: &str) -> Result<Self, BadAddress> {
        let bad = |reason| BadAddress { url: url.into(), reason };
        let (tls, rest, port) = match (url.strip_prefix("mqtt://"), url.strip_prefix("mqtts://")) {
            (Some(rest), _) => (false, rest, 1883),
            (None, Some(rest)) => (true, rest, 8883),
            (None, None) => return Err(bad("begins with neither mqtt:// nor mqtts://")),
        };
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() || rest.contains(['/', '@']) {
            return Err(bad("has more or less than a host and a port; a login does not belong here"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => {
                (host, digits.parse().map_err(|_| bad("has a port that is no number"))?)
            }
            Some(_) | None => (rest, port),
        };
        Ok(BrokerAddress { tls, host: host.trim_matches(['[', ']']).into(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(tls: bool, host: &str, port: u16) -> BrokerAddress {
        BrokerAddress { tls, host: host.into(), port }
    }

    #[test]
    fn brokers_are_named_by_url() {
        assert_eq!("mqtt://host".parse(), Ok(broker(false, "host", 1883)));
        assert_eq!("mqtts://host:1/".parse(), Ok(broker(true, "host", 1)));
        assert_eq!("mqtt://[::1]:1884".parse(), Ok(broker(false, "::1", 1884)));
        assert_eq!("mqtt://[::1]".parse(), Ok(broker(false, "::1", 1883)));
        for wrong in ["host:1883", "http://host", "mqtt://", "mqtt://u:p@host", "mqtt://host:x", ""] {
            assert!(wrong.parse::<BrokerAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cluster_is_all_with_tls_or_all_without() {
        assert_eq!(
            brokers("mqtt://a, mqtt://b:2").unwrap(),
            [broker(false, "a", 1883), broker(false, "b", 2)]
        );
        assert!(brokers("mqtt://a,mqtts://b").is_err() && brokers("mqtt://a,").is_err());
    }
}
