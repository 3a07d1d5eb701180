//! An image as a station sees it: whose signature it bears, and which version it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use shared::model::file::FirmwareSignature;
use x509_parser::pem::Pem;

/// What stands at the beginning of a simulated image, before its version.
const MARK: &str = "FIRMWARE ";

/// Is this PEM a certificate?
pub(super) fn is_certificate(pem: &str) -> bool {
    first(pem).is_some_and(|pem| pem.parse_x509().is_ok())
}

/// Does the signature fit the image? By RSA-PSS (L01.FR.04), or by what makers use besides.
pub(super) fn is_signed(image: &[u8], by: &FirmwareSignature) -> bool {
    let Some(pem) = first(&by.certificate) else { return false };
    let (Ok(certificate), Ok(signature)) = (pem.parse_x509(), STANDARD.decode(by.signature.trim())) else {
        return false;
    };
    let key = &certificate.public_key().subject_public_key.data;
    let ways: [&'static dyn VerificationAlgorithm; 3] =
        [&RSA_PSS_2048_8192_SHA256, &ECDSA_P256_SHA256_ASN1, &RSA_PKCS1_2048_8192_SHA256];
    ways.into_iter().any(|way| UnparsedPublicKey::new(way, key).verify(image, &signature).is_ok())
}

/// The version that an image says at its beginning, else the name of its file.
pub(super) fn version(image: &[u8], location: &str) -> String {
    let head = image.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let told = std::str::from_utf8(head).ok().and_then(|head| head.strip_prefix(MARK));
    let name = || location.rsplit('/').next().unwrap_or(location);
    told.unwrap_or_else(name).trim().chars().take(50).collect()
}

fn first(pem: &str) -> Option<Pem> {
    Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_its_version_or_its_name_does() {
        assert_eq!(version(b"FIRMWARE 2.1.0\n\x00\xff", "http://g/x.bin"), "2.1.0");
        assert_eq!(version(b"\x7fELF", "http://g/f/x-3.bin"), "x-3.bin");
    }

    #[test]
    fn a_text_is_no_certificate_and_signs_nothing() {
        let nothing = FirmwareSignature { certificate: "PEM".into(), signature: "AAAA".into() };
        assert!(!is_certificate(&nothing.certificate) && !is_signed(b"image", &nothing));
    }
}
