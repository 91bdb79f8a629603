//! Who wants to know when a space's context changes. Heard in this process only; who wants to know what others do looks at the
//! revision from time to time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locule_core::id::SpaceId;

/// What is called when something has changed. It must not wait for anything.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Those who watch, by space.
#[derive(Default)]
pub struct Watchers {
    spaces: Mutex<HashMap<SpaceId, Vec<Wake>>>,
}

impl Watchers {
    /// Calls `wake` after each change, until the watch is dropped.
    pub fn add(self: &Arc<Self>, space: SpaceId, wake: Wake) -> Watch {
        self.lock().entry(space).or_default().push(wake.clone());
        Watch { watchers: self.clone(), space, wake }
    }

    /// Something has changed.
    pub fn call(&self, space: SpaceId) {
        let wakes = self.lock().get(&space).cloned().unwrap_or_default();
        wakes.iter().for_each(|wake| wake());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpaceId, Vec<Wake>>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches, until this is dropped.
pub struct Watch {
    watchers: Arc<Watchers>,
    space: SpaceId,
    wake: Wake,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut spaces = self.watchers.lock();
        if let Some(wakes) = spaces.get_mut(&self.space) {
            wakes.retain(|wake| !Arc::ptr_eq(wake, &self.wake));
            if wakes.is_empty() {
                spaces.remove(&self.space);
            }
        }
    }
}
