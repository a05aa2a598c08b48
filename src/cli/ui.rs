//! Talks to people: messages and progress on standard error, data on standard output.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use redline_harness::jobs::Progress;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// A message, on standard error.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "redline: {text}");
}

/// Data, on standard output. A reader that has gone away is no error: it has seen enough.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A line that says how far a job is; nothing off a terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// A line, if standard error is a terminal and people want to see it.
    pub fn new(quiet: bool) -> Bar {
        let bar = ProgressBar::new_spinner();
        if quiet || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        } else {
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                    .expect("the template is fixed and valid"),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Bar(bar)
    }

    /// Shows how far the job is.
    pub fn show(&self, progress: &Progress) {
        if self.0.is_hidden() {
            return;
        }
        let of = progress.of.map(|of| format!(" of {of}")).unwrap_or_default();
        let more = if progress.more.is_empty() { String::new() } else { format!(" ({})", progress.more) };
        self.0.set_message(format!("{}: {}{of}{more}", progress.what, progress.done));
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
