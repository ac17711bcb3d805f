//! Finds every reading that a backend may make of a path.
//!
//! Envoy routes by the raw path, byte for byte, and backends receive those bytes. A backend may decode, normalise or ignore
//! parts of them, in any order, and so reach another resource than the one of the route's policy. A *form* is the result of
//! such steps:
//!
//! | step | example |
//! |---|---|
//! | percent-decode, at most once | `/%69nternal` → `/internal`, `/%252e` → `/%2e` |
//! | read `\` as `/` | `/a\..\internal` → `/a/../internal` |
//! | drop `;parameters` of each segment | `/internal;x=1` → `/internal`, `/..;/x` → `/../x` |
//! | merge slashes | `//internal` → `/internal` |
//! | remove dot segments (RFC 3986 §5.2.4) | `/a/../internal` → `/internal` |
//! | cut at a `?` or `#` that comes from decoding | `/internal%3fx` → `/internal` |
//!
//! [`forms`] returns the result of every sequence of these steps, so it covers every order of normalisation. Letter case and
//! a final slash are not steps: the lookup of a form ignores them.
//!
//! An attacker can make a path with very many forms. They are bounded by [`MAX_FORMS`] and [`MAX_FORM_BYTES`]; a path beyond
//! the bounds is refused. Paths of honest clients have one to four forms.

/// The most forms of a path. `/a//..;x/%5c../b`, to which every step applies, has 88; real attacks have about a dozen.
pub const MAX_FORMS: usize = 128;

/// The most bytes of all forms together: four forms of the longest path that Envoy accepts (60 KiB of headers), or
/// thirty-two of a path of 8 KiB. Finding them takes less than a millisecond.
pub const MAX_FORM_BYTES: usize = 256 * 1024;

/// Why a path has no forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// White space, a control byte or `#` in the path, `%00`, an overlong UTF-8 sequence, no leading slash.
    #[error("the path has bytes that no honest client sends")]
    Malformed,
    /// The path has too many forms to judge.
    #[error("the path has too many readings")]
    Convoluted,
}

/// The result of reading each byte of a path once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Some step may apply: [`forms`] has to be called.
    pub(crate) odd: bool,
    /// It has upper-case letters.
    pub(crate) upper: bool,
}

/// Reads `path` (raw, without its query) once.
pub(crate) fn shape(path: &[u8]) -> Result<Shape, PathFault> {
    if path.first() != Some(&b'/') {
        return Err(PathFault::Malformed);
    }
    let mut shape = Shape { odd: false, upper: false };
    let mut previous = 0;
    for &byte in path {
        match byte {
            0..=b' ' | 0x7f | b'#' => return Err(PathFault::Malformed),
            b'A'..=b'Z' => shape.upper = true,
            b'/' | b'.' => shape.odd |= previous == b'/',
            b'%' | b'\\' | b';' | 0x80.. => shape.odd = true,
            _ => {}
        }
        previous = byte;
    }
    Ok(shape)
}

/// Every form of `path` (raw, without its query); the path itself is the first.
///
/// # Errors
/// [`PathFault`], when the path has no honest reading or too many.
pub fn forms(path: &[u8]) -> Result<Vec<Vec<u8>>, PathFault> {
    shape(path)?;
    check_decoded(path)?;
    let mut found = vec![Form { bytes: path.to_vec(), decoded: false }];
    let mut total = path.len();
    let mut next = 0;
    while let Some(form) = found.get(next) {
        let (bytes, decoded) = (form.bytes.clone(), form.decoded);
        next += 1;
        for step in STEPS {
            if step == Step::Decode && decoded {
                continue;
            }
            let Some(bytes) = step.apply(&bytes) else { continue };
            let form = Form { bytes, decoded: decoded || step == Step::Decode };
            if step == Step::Decode {
                check_decoded(&form.bytes)?;
            }
            if found.contains(&form) {
                continue;
            }
            total = total.saturating_add(form.bytes.len());
            if found.len() >= MAX_FORMS || total > MAX_FORM_BYTES {
                return Err(PathFault::Convoluted);
            }
            found.push(form);
        }
    }
    Ok(found.into_iter().map(|form| form.bytes).collect())
}

#[derive(Clone, PartialEq, Eq)]
struct Form {
    bytes: Vec<u8>,
    decoded: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Decode,
    Backslashes,
    Parameters,
    Slashes,
    Dots,
    Cut,
}

const STEPS: [Step; 6] =
    [Step::Decode, Step::Backslashes, Step::Parameters, Step::Slashes, Step::Dots, Step::Cut];

impl Step {
    /// The result of the step on `path`; `None` when it changes nothing.
    fn apply(self, path: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Decode => decode(path),
            Self::Backslashes => path
                .contains(&b'\\')
                .then(|| path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()),
            Self::Parameters => path.contains(&b';').then(|| without_parameters(path)),
            Self::Slashes => path.windows(2).any(|pair| pair == b"//").then(|| merge_slashes(path)),
            Self::Dots => has_dot_segment(path).then(|| remove_dot_segments(path)),
            Self::Cut => path
                .iter()
                .position(|byte| matches!(byte, b'?' | b'#'))
                .and_then(|end| path.get(..end))
                .map(<[u8]>::to_vec),
        }
    }
}

/// Decodes every valid `%XX` once; anything else stays.
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let escape = (byte == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let value = escape.and_then(|(&[high, low], after)| Some(((hex(high)? << 4) | hex(low)?, after)));
        let (byte, after) = value.unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    (decoded.len() != path.len()).then_some(decoded)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Bytes that the decoder of an honest backend should never receive.
///
/// 0xC0 and 0xC1 only begin overlong encodings of ASCII (`%c0%ae` for `.`), and lenient decoders accept them with any second
/// byte. A NUL ends the path in a program written in C.
fn check_decoded(path: &[u8]) -> Result<(), PathFault> {
    let overlong = |pair: &[u8]| matches!(pair, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    if path.iter().any(|byte| matches!(byte, 0 | 0xc0 | 0xc1)) || path.windows(2).any(overlong) {
        return Err(PathFault::Malformed);
    }
    Ok(())
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut inside = false;
    let keep = |&byte: &u8| {
        match byte {
            b'/' => inside = false,
            b';' => inside = true,
            _ => {}
        }
        !inside
    };
    path.iter().copied().filter(keep).collect()
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(byte);
        }
    }
    merged
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b".."))
}

/// RFC 3986 §5.2.4. `path` begins with a slash, and so does the result.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(path.len());
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    clean.truncate(clean.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                }
                // `/a/.` and `/a/b/..` are the directory `/a/`.
                if segments.peek().is_none() {
                    clean.push(b'/');
                }
            }
            _ => {
                clean.push(b'/');
                clean.extend_from_slice(segment);
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests;
