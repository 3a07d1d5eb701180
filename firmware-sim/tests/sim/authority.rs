//! An authority of the test: roots, and certificates that are by it.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
}

/// What a certificate is to say.
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    /// Years.
    pub(crate) from: i32,
    pub(crate) to: i32,
}

impl Wanted<'_> {
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.not_before = date_time_ymd(self.from, 1, 1);
        params.not_after = date_time_ymd(self.to, 1, 1);
        params
    }
}

impl Authority {
    /// One that is good from 2020 to 2100.
    pub(crate) fn new(name: &str) -> Self {
        Self::until(name, 2100)
    }

    pub(crate) fn until(name: &str, to: i32) -> Self {
        let mut params = Wanted { name, from: 2020, to }.params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), pem }
    }

    /// An authority that is by this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        let mut params = Wanted { name, from: 2020, to: 2100 }.params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Authority { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), pem }
    }

    /// Signs what a station asks for.
    pub(crate) fn sign(&self, csr: &str, wanted: &Wanted<'_>) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params = wanted.params();
        request.signed_by(&self.issuer).unwrap().pem()
    }

    /// A certificate of its own key, and the key, in PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server at 127.0.0.1 that is by this authority, and asks for certificates that are, if it shall.
    pub(crate) fn server(&self, asks: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (chain, key) = self.issue("127.0.0.1");
        let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
            let asking = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(asking.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}
