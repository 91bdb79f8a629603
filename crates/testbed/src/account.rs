//! As whom services run: as the one who runs the tests, or, if that is root, as somebody who may do less.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use nix::unistd::{Uid, User, chown};

use crate::fail::OrFail;

/// Nobody, if the tests do not run as root.
fn stand_in() -> Option<&'static User> {
    static ACCOUNT: OnceLock<Option<User>> = OnceLock::new();
    ACCOUNT
        .get_or_init(|| {
            if !Uid::effective().is_root() {
                return None;
            }
            // Debian's packages make `postgres`; `nobody` is everywhere.
            let named = |name| User::from_name(name).ok().flatten();
            Some(
                named("postgres")
                    .or_else(|| named("nobody"))
                    .or_fail("root needs an account for services: no `nobody`"),
            )
        })
        .as_ref()
}

/// Has the command run as that account. The standard library drops supplementary groups with it.
pub fn lower(command: &mut Command) {
    if let Some(user) = stand_in() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
}

/// Gives the account a file or directory that the tests made for it.
pub fn hand_over(path: &Path) {
    if let Some(user) = stand_in() {
        chown(path, Some(user.uid), Some(user.gid)).or_fail(format_args!("giving {} to {}", path.display(), user.name));
    }
}

/// The account's number.
pub fn uid() -> u32 {
    stand_in().map_or(Uid::effective(), |user| user.uid).as_raw()
}
