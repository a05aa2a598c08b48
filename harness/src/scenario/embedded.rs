//! The scenarios that come with the program, and how a scenario is found by name or path.

use super::{Problem, Scenario, file, parse};
use std::path::Path;
use std::{fmt, io};

/// A scenario file that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// Its name.
    pub name: &'static str,
    /// Its text, comments included.
    pub text: &'static str,
}

/// All of them; the first is used when none is named.
pub const EMBEDDED: [Embedded; 5] = [
    Embedded { name: "reference", text: include_str!("../../../scenarios/reference.toml") },
    Embedded { name: "three-nodes", text: include_str!("../../../scenarios/three-nodes.toml") },
    Embedded { name: "slow-array", text: include_str!("../../../scenarios/slow-array.toml") },
    Embedded { name: "no-aptpl", text: include_str!("../../../scenarios/no-aptpl.toml") },
    Embedded { name: "zombie-owner", text: include_str!("../../../scenarios/zombie-owner.toml") },
];

/// Why there is no scenario.
#[derive(Debug)]
pub enum Error {
    /// Neither a file nor the name of an embedded scenario.
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        nearest: Option<&'static str>,
    },
    /// It cannot be read.
    Unreadable(String, io::Error),
    /// It can be read, and is wrong.
    Wrong(Vec<Problem>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown { name, nearest } => {
                write!(f, "`{name}` is neither a scenario file nor the name of an embedded scenario")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => write!(f, "; `redline scenarios` lists them"),
                }
            }
            Error::Unreadable(name, error) => write!(f, "{name}: {error}"),
            Error::Wrong(problems) => {
                let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

impl std::error::Error for Error {}

/// Finds a scenario by the name of an embedded one, or by path.
///
/// # Errors
/// [`Error`]; a file that exists is never taken for a name.
pub fn load(asked: &str) -> Result<Scenario, Error> {
    let path = Path::new(asked);
    let embedded = EMBEDDED.iter().find(|one| one.name == asked);
    if let (Some(one), false) = (embedded, path.exists()) {
        return parse(one.text, &format!("{}.toml", one.name)).map_err(Error::Wrong);
    }
    if path.is_dir() {
        let error = io::Error::new(io::ErrorKind::IsADirectory, "is a directory, not a scenario file");
        return Err(Error::Unreadable(asked.to_owned(), error));
    }
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, asked).map_err(Error::Wrong),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let nearest = file::nearest(asked, EMBEDDED.iter().map(|one| one.name));
            let nearest =
                nearest.and_then(|near| EMBEDDED.iter().map(|one| one.name).find(|name| *name == near));
            Err(Error::Unknown { name: asked.to_owned(), nearest })
        }
        Err(error) => Err(Error::Unreadable(asked.to_owned(), error)),
    }
}
