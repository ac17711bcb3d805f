//! Compares bodies: first by bytes, and in detail only when these differ.

use edge_config::edge::DifferenceKind;
use sha2::{Digest, Sha256};

use super::{Found, coding, json, text};
use crate::answer::{Answer, Body};

pub(super) fn compare(reference: &Answer, shadow: &Answer, found: &mut Found) {
    if reference.body == shadow.body {
        return;
    }
    let (Body::Whole(one), Body::Whole(other)) = (&reference.body, &shadow.body) else {
        let (one, other) = (description(&reference.body, None), description(&shadow.body, None));
        found.add(DifferenceKind::BodyBytes, "", Some(one), Some(other));
        return;
    };
    let unpacked =
        (coding::unpacked(&coding::of(reference), one), coding::unpacked(&coding::of(shadow), other));
    let (Some(one), Some(other)) = unpacked else {
        return bytes(&reference.body, &shadow.body, one, other, found);
    };
    if one == other {
        let (one, other) = (description(&reference.body, None), description(&shadow.body, None));
        found.add(DifferenceKind::BodyEncoding, "", Some(one), Some(other));
        return;
    }
    if let (Some(ours), Some(theirs)) = (json::Document::read(&one), json::Document::read(&other)) {
        json::compare(&ours, &theirs, found);
        return;
    }
    match (std::str::from_utf8(&one), std::str::from_utf8(&other)) {
        (Ok(ours), Ok(theirs)) => text::compare(ours, theirs, found),
        (Ok(_) | Err(_), _) => bytes(&reference.body, &shadow.body, &one, &other, found),
    }
}

fn bytes(reference: &Body, shadow: &Body, one: &[u8], other: &[u8], found: &mut Found) {
    let at = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
    let (one, other) = (description(reference, Some(at)), description(shadow, Some(at)));
    found.add(DifferenceKind::BodyBytes, "", Some(one), Some(other));
}

/// Length and digest, instead of unreadable bytes.
fn description(body: &Body, first_different: Option<usize>) -> Vec<u8> {
    let (length, digest): (u64, [u8; 32]) = match body {
        Body::Whole(bytes) => (u64::try_from(bytes.len()).unwrap_or(u64::MAX), Sha256::digest(bytes).into()),
        Body::Digest { length, sha256 } => (*length, *sha256),
    };
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    // Counted from one, as reports count lines, columns and bytes.
    let at = first_different
        .map(|at| format!(", first different at byte {}", at.saturating_add(1)))
        .unwrap_or_default();
    format!("{length} bytes, sha256 {digest}{at}").into_bytes()
}
