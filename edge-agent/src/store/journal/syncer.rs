//! A thread that syncs a file while its owner does something else.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The owner's end. The thread ends with it.
pub(super) struct Syncer {
    begin: Sender<()>,
    done: Receiver<io::Result<()>>,
    is_running: bool,
}

impl Syncer {
    /// For this file.
    pub(super) fn of(file: File) -> io::Result<Self> {
        let (begin, begun) = channel();
        let (tell, done) = channel();
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || while begun.recv().is_ok() && tell.send(file.sync_data()).is_ok() {})?;
        Ok(Syncer { begin, done, is_running: false })
    }

    /// Syncs what was written until now.
    pub(super) fn begin(&mut self) {
        // A thread that is gone is noticed by who waits for it.
        let _ = self.begin.send(());
        self.is_running = true;
    }

    /// Waits for the end of what was begun; nothing was, nothing happens.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_running) {
            return Ok(());
        }
        self.done.recv().map_err(|_| io::Error::other("the journal's thread is gone"))?
    }
}
