//! An authority of the test: roots, and certificates that are by it.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyPair, date_time_ymd,
};

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
}
