//! Between a protocol's words and the site's: one module per OCPP version. Nothing beyond here names a version.

pub mod v16;
