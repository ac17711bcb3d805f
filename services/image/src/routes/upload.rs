//! Answers PUT: a bot puts a picture in its place.

use std::io;
use std::time::Duration;

use axum::extract::{FromRequest as _, FromRequestParts as _, Multipart, Request};
use axum::response::Response;
use bytes::Bytes;
use identity::Role;
use kit::{Person, answer as answers};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{App, Pictures};
use crate::error::Error;
use crate::format::{Format, HEAD_BYTES};
use crate::path::PicturePath;
use crate::tree::Tree;

/// The longest picture in bytes, as the contract has it.
const MAX_PICTURE_BYTES: usize = 20 * 1024 * 1024;

/// The longest form: a picture, and room for the head of its field.
pub(super) const MAX_FORM_BYTES: usize = MAX_PICTURE_BYTES + 64 * 1024;

/// How many uploads are written at the same time. Others wait. An upload holds at most [`QUEUED`] chunks in memory.
pub(super) const MAX_AT_ONCE: usize = 16;

/// How long an upload may take: 20 MB at 70 KB/s, a slow line. The shipped edges wait as long for it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);

/// How many chunks wait for the disk.
const QUEUED: usize = 4;

/// What an upload sends to the disk.
enum Sent {
    /// The next bytes.
    Bytes(Bytes),
    /// There are no more. A connection that breaks off never sends this, so half a picture is never published.
    End,
}

pub(super) async fn answer(app: &App, request: Request) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let Person(person) =
        Person::from_request_parts(&mut parts, &app.gate).await.map_err(|_| Error::Unauthenticated)?;
    // This is the check of the role: the shipped edges let every signed-in person reach the file host.
    if person.role < Some(Role::BOT) {
        return Err(Error::Forbidden);
    }
    let path = PicturePath::parse(parts.uri.path())?;
    let format = Format::of(path.split().1).ok_or(Error::Invalid("Unknown type"))?;
    let tree = match &app.pictures {
        Pictures::Tree(tree) => tree.clone(),
        Pictures::Stub(_) => return Err(Error::MadeUp),
    };
    let _slot = app.uploads.acquire().await.map_err(|_| Error::Disk(io::ErrorKind::Interrupted.into()))?;
    let form = Multipart::from_request(Request::from_parts(parts, body), &()).await;
    let mut form = form.map_err(|_| Error::Invalid("Not a form"))?;
    let field = form.next_field().await.map_err(|_| Error::Invalid("Not a form"))?;
    let mut field = field.ok_or(Error::Invalid("No file"))?;

    let (sender, received) = mpsc::channel(QUEUED);
    let writer = spawn_blocking(move || write(&tree, &path, format, received));
    let mut read = Ok(0_usize);
    while let Ok(so_far) = read {
        read = match field.chunk().await {
            Ok(None) => {
                // A writer that has failed is not there to hear this; its result says why.
                drop(sender.send(Sent::End).await);
                break;
            }
            Ok(Some(chunk)) if so_far + chunk.len() > MAX_PICTURE_BYTES => Err(Error::Invalid("Too large")),
            Ok(Some(chunk)) => {
                let so_far = so_far + chunk.len();
                if sender.send(Sent::Bytes(chunk)).await.is_err() { break } else { Ok(so_far) }
            }
            // The form is longer than allowed, or broken off.
            Err(error) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Error::Invalid("Too large"))
            }
            Err(_) => Err(Error::Invalid("Not a form")),
        };
    }
    drop(sender);
    let written = writer.await.map_err(|_| Error::Disk(io::ErrorKind::Interrupted.into()))?;
    read?;
    written?;
    Ok(answers::no_content())
}

/// Writes what is sent, and publishes it at the end.
fn write(
    tree: &Tree,
    path: &PicturePath,
    format: Format,
    mut received: mpsc::Receiver<Sent>,
) -> Result<(), Error> {
    let mut head = Vec::new();
    let mut ended = false;
    while !ended && head.len() < HEAD_BYTES {
        match received.blocking_recv() {
            Some(Sent::Bytes(bytes)) => head.extend_from_slice(&bytes),
            Some(Sent::End) => ended = true,
            None => return Err(Error::Invalid("Not a form")),
        }
    }
    if !format.fits(head.get(..HEAD_BYTES).unwrap_or(&head)) {
        return Err(Error::Invalid("Unknown type"));
    }
    let draft = tree.draft(path)?;
    let mut file = draft.open()?;
    file.write(&head)?;
    while !ended {
        match received.blocking_recv() {
            Some(Sent::Bytes(bytes)) => file.write(&bytes)?,
            Some(Sent::End) => ended = true,
            None => return Err(Error::Invalid("Not a form")),
        }
    }
    file.publish()?;
    Ok(())
}
