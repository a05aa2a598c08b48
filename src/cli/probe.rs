//! `redline probe`: what was asked, with the secret that belongs to it.

use super::args::Probe;
use redline_harness::jobs::Error;
use redline_harness::jobs::probe::{Ask, Subject, account};
use redline_harness::probe::tcp::Identity;
use redline_vocab::Quirks;

/// The variable that may hold the CHAP secret.
const SECRET: &str = "REDLINE_CHAP_SECRET";

/// What is to be tested, and how.
///
/// # Errors
/// If the secret is missing or cannot be read.
pub fn ask(asked: &Probe, quirks: Quirks) -> Result<Ask, Error> {
    let subject = match &asked.url {
        None => Subject::Own(quirks),
        Some(address) => Subject::Target {
            address: address.clone(),
            portals: asked.portal.clone(),
            identity: Identity {
                names: asked.initiator.iter().map(|name| name.to_lowercase()).collect(),
                account: address
                    .user
                    .as_deref()
                    .map(|user| secret(asked).map(|secret| account(user, secret)))
                    .transpose()?,
            },
            restart: asked.restart_cmd.clone(),
            dataloss: asked.dataloss,
        },
    };
    Ok(Ask {
        subject,
        seats: asked.nexuses,
        commands: asked.commands,
        lasts: asked.for_time,
        depth: asked.depth,
        seed: asked.seed,
        story: asked.story.clone(),
    })
}

/// From the file, or from the environment.
fn secret(asked: &Probe) -> Result<Vec<u8>, Error> {
    if let Some(path) = &asked.password_file {
        let text =
            std::fs::read(path).map_err(|source| Error::Io { file: path.display().to_string(), source })?;
        return Ok(text.trim_ascii_end().to_vec());
    }
    match std::env::var(SECRET) {
        Ok(secret) => Ok(secret.into_bytes()),
        Err(_) => Err(Error::Asked(format!("a user needs a secret: --password-file FILE, or {SECRET}"))),
    }
}
