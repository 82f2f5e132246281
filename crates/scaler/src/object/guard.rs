//! A look that may end before its time: a defect of the law, and of one object only.
//!
//! Contract: what failed is answered until a look succeeds. It fails once a second then, so
//! it is said as an outage is: at once, once a minute, and when it is over. The panic's own
//! message is not printed besides; the line has its place in the source.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use super::{Object, Trouble, lock};
use crate::outage::Said;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static LAST_WORDS: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Object {
    /// A look that may end before its time: then that is what is answered, until the
    /// next one.
    pub fn guarded(&self, now_ms: i64, look: impl FnOnce(&Self)) {
        let failed = caught(|| look(self)).err();
        let said = lock(&self.failing).look(now_ms, failed.as_deref());
        let (object, why) = (self.label(), failed.as_deref().unwrap_or_default());
        match said {
            Some(Said::Began) => {
                tracing::error!(object, why, "the law failed; the others go on");
            }
            Some(Said::GoesOn { for_s }) => {
                tracing::error!(object, for_s, why, "the law still fails; the others go on");
            }
            Some(Said::Over { for_s }) => {
                tracing::warn!(object, for_s, "the law looks again");
            }
            None => {}
        }
        if let Some(why) = failed {
            self.status.send_modify(|status| {
                (status.at_ms, status.trouble) = (now_ms, Some(Trouble::Law { why }));
            });
        }
    }
}

/// Runs it; what it panics with, and where, is the error.
fn caught(run: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if GUARDED.get() {
                LAST_WORDS.set(Some(words(info)));
            } else {
                others(info);
            }
        }));
    });
    GUARDED.set(true);
    let ran = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(false);
    ran.map_err(|_| LAST_WORDS.take().unwrap_or_else(|| "no reason given".into()))
}

fn words(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no reason given");
    info.location().map_or_else(
        || text.to_owned(),
        |place| format!("{text} ({}:{})", place.file(), place.line()),
    )
}
