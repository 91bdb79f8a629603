//! Where `.ci/services` puts what it downloads, and where clusters are kept ready to be copied.

use std::path::{Path, PathBuf};

/// A folder of this checkout that git does not see.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed")
}

/// Something installed, under the name by which a service's account reaches it: below /root the script leaves a link to a
/// place that is open to all.
pub fn installed(name: &str) -> PathBuf {
    let path = folder().join(name);
    path.canonicalize().unwrap_or(path)
}
