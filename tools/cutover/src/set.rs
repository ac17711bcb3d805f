//! `cutover set` changes a route's shares, or the backend of a kind of session, in the edge file itself.
//!
//! The file is edited in place: only the destination of this one route changes. All other bytes stay as they are, with
//! comments and order. The result is read and checked as a whole before it is written, and it must mean the same as before
//! except for this route's destination. The new file replaces the old one in one step.

mod command;
mod edit;
mod moves;
mod place;
mod shares;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use edge_config::edge::Destination;
use edge_config::{Edge, Environment};

use crate::whole_file;

pub use command::{Arguments, code, main};
pub use moves::{InvalidMove, Moves};
pub use shares::{InvalidShares, Shares};

/// The change that [`set`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where the route's requests went.
    pub before: Destination,
    /// Where they go now.
    pub after: Destination,
    /// The revision of the new text.
    pub revision: String,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The file, or the result of the edit, is invalid. Every fault is in the message.
    #[error("{0}")]
    Invalid(String),
    /// The route does not exist.
    #[error("{file} has no route `{route}`; {fix}")]
    NoRoute {
        /// The edge file.
        file: PathBuf,
        /// The requested name.
        route: String,
        /// The name that was probably meant, or all names.
        fix: String,
    },
    /// This command cannot edit a file written in this way.
    #[error("{file}: `to` of route `{route}` cannot be edited in place: {why}; edit it by hand")]
    Unclear {
        /// The edge file.
        file: PathBuf,
        /// The route.
        route: String,
        /// What prevents the edit.
        why: String,
    },
    /// The file was changed in the meantime.
    #[error("{0} was changed in the meantime; check it and run this command again")]
    Raced(PathBuf),
    /// The file cannot be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Sends the requests of `route` where `moves` says, in the edge file at `path`. With shares, backends that are not named
/// get a share of 0 and stay in the list. Kinds that are not named and `sticky` stay as they are.
///
/// # Errors
/// [`SetError`]; the file is unchanged then.
pub fn set(
    path: &Path,
    route: &str,
    moves: &Moves,
    environment: Environment<'_>,
) -> Result<Changed, SetError> {
    // A link stays a link: the file to which it points is written.
    let file = fs::canonicalize(path).map_err(|source| io_error("read", path, source))?;
    let text = fs::read_to_string(&file).map_err(|source| io_error("read", path, source))?;
    let (after, changed) = edited(path, &text, route, moves, environment)?;
    if after != text {
        replace(&file, &text, &after)?;
    }
    Ok(changed)
}

/// The text of the edge file after the change, and the change. Nothing is written.
///
/// # Errors
/// [`SetError`], except those about writing.
pub fn edited(
    path: &Path,
    text: &str,
    route: &str,
    moves: &Moves,
    environment: Environment<'_>,
) -> Result<(String, Changed), SetError> {
    let old = checked(path, text, environment)?;
    let Some(present) = old.routes.iter().find(|r| r.name == route) else {
        let names = old.routes.iter().map(|r| r.name.as_str());
        return Err(SetError::NoRoute {
            file: path.to_owned(),
            route: route.to_owned(),
            fix: edge_config::suggest(route, names),
        });
    };
    let unclear = |why: String| SetError::Unclear { file: path.to_owned(), route: route.to_owned(), why };
    let place = place::of(text, route).map_err(unclear)?;
    let after = edit::apply(text, &place, moves).map_err(unclear)?;
    let new = checked(path, &after, environment)?;
    let destination = new.routes.iter().find(|r| r.name == route).map(|r| r.destination.clone());
    let Some(destination) = destination.filter(|d| d.sticky == present.destination.sticky) else {
        return Err(unclear("the edit would change more than was requested".to_owned()));
    };
    if !moves.lead(&present.destination, &destination) {
        return Err(unclear("the edit would not give this destination".to_owned()));
    }
    if !same_otherwise(&old, &new, route) {
        return Err(unclear("other routes would change too (an anchor that they share?)".to_owned()));
    }
    let changed =
        Changed { before: present.destination.clone(), after: destination, revision: new.revision.0 };
    Ok((after, changed))
}

fn checked(path: &Path, text: &str, environment: Environment<'_>) -> Result<Edge, SetError> {
    let edge = edge_config::parse(path, text, environment).map_err(|f| SetError::Invalid(f.to_string()))?;
    crate::render::check_rules(&edge)
        .map_err(|message| SetError::Invalid(format!("{}: {message}", path.display())))?;
    Ok(edge)
}

/// Whether two edges are the same except for the destination of `route`.
fn same_otherwise(old: &Edge, new: &Edge, route: &str) -> bool {
    let without = |edge: &Edge| {
        let mut edge = edge.clone();
        edge.revision.0.clear();
        for one in edge.routes.iter_mut().filter(|r| r.name == route) {
            one.destination = Destination::default();
        }
        // The debug output of an edge has everything but passwords, and no route's `to` holds a password.
        format!("{edge:?}")
    };
    without(old) == without(new)
}

fn replace(file: &Path, before: &str, after: &str) -> Result<(), SetError> {
    let failed = |source| io_error("write", file, source);
    let draft = whole_file::draft(file, after.as_bytes(), 0o600).map_err(failed)?;
    let permissions = fs::metadata(file).map_err(failed)?.permissions();
    draft.as_file().set_permissions(permissions).map_err(failed)?;
    match fs::read_to_string(file) {
        Ok(now) if now == before => draft.persist(file).map(|_| ()).map_err(|error| failed(error.error)),
        Ok(_) | Err(_) => Err(SetError::Raced(file.to_owned())),
    }
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> SetError {
    SetError::Io { what, path: path.to_owned(), source }
}
