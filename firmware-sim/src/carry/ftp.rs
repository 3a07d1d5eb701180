//! By FTP in passive mode, as chargers of 1.6 know it.

use anyhow::{Context as _, bail};
use reqwest::Url;
use suppaftp::tokio::AsyncFtpStream;
use suppaftp::types::FileType;
use tokio::io::AsyncReadExt as _;

async fn open(location: &str) -> anyhow::Result<(AsyncFtpStream, String)> {
    let url = Url::parse(location)?;
    let host = url.host_str().context("no host")?.trim_matches(['[', ']']).to_owned();
    let mut ftp = AsyncFtpStream::connect((host, url.port().unwrap_or(21))).await?;
    ftp.login(url.username(), url.password().unwrap_or_default()).await?;
    ftp.transfer_type(FileType::Binary).await?;
    Ok((ftp, url.path().to_owned()))
}

/// Fetches what is missing of `got`.
pub(super) async fn fetch(location: &str, got: &mut Vec<u8>, break_after: Option<u64>) -> anyhow::Result<()> {
    let (mut ftp, path) = open(location).await?;
    let whole = ftp.size(&path).await?;
    if !got.is_empty() {
        ftp.resume_transfer(got.len()).await?;
    }
    let mut stream = ftp.retr_as_stream(&path).await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        got.extend(&buffer[..count]);
        if let Some(most) = break_after.filter(|most| got.len() as u64 >= *most) {
            got.truncate(usize::try_from(most)?);
            bail!("the line broke as told");
        }
        if count == 0 {
            break;
        }
    }
    stream.finish().await?;
    if got.len() != whole {
        bail!("{} of {whole} bytes came", got.len());
    }
    Ok(ftp.quit().await?)
}

/// Brings a file under its own name.
pub(super) async fn bring(location: &str, (name, bytes): &(String, Vec<u8>)) -> anyhow::Result<()> {
    let (mut ftp, folder) = open(location).await?;
    let path = format!("{}/{name}", folder.trim_end_matches('/'));
    ftp.put_file(path, &mut bytes.as_slice()).await?;
    Ok(ftp.quit().await?)
}
