//! Reads the leaves of a JSON text.

use super::{Document, Leaf};

/// Deeper than any answer; it bounds the stack.
const MAX_DEPTH: usize = 64;

/// More values than this are compared as text: a pointer for each would take more memory than the body.
const MAX_LEAVES: usize = 20_000;

pub(super) fn read(bytes: &[u8]) -> Option<Document<'_>> {
    let mut reader = Reader {
        bytes,
        at: 0,
        last: 0,
        document: Document { leaves: Vec::new(), between: Vec::new() },
        path: Vec::new(),
    };
    reader.spaces();
    if !matches!(reader.peek()?, b'{' | b'[') {
        return None;
    }
    reader.value()?;
    reader.spaces();
    if reader.at != bytes.len() {
        return None;
    }
    reader.document.between.push(bytes.get(reader.last..)?);
    Some(reader.document)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The end of the last leaf.
    last: usize,
    document: Document<'a>,
    /// The segments, escaped (RFC 6901 §3), and whether each is an index.
    path: Vec<(String, bool)>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self) -> Option<()> {
        let start = self.at;
        match self.peek()? {
            b'{' => self.container(b'}'),
            b'[' => self.container(b']'),
            b'"' => {
                self.string()?;
                self.leaf(start)
            }
            _ => {
                let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let length = self.bytes.get(start..)?.iter().take_while(|byte| plain(byte)).count();
                self.at += length;
                let raw = self.bytes.get(start..self.at)?;
                let known = matches!(raw, b"true" | b"false" | b"null");
                (known || super::number::exact(raw).is_some()).then_some(())?;
                self.leaf(start)
            }
        }
    }

    fn container(&mut self, end: u8) -> Option<()> {
        if self.path.len() >= MAX_DEPTH {
            return None;
        }
        let start = self.at;
        self.at += 1;
        self.spaces();
        if self.peek()? == end {
            self.at += 1;
            return self.leaf(start);
        }
        for index in 0.. {
            let segment = if end == b'}' {
                let name = self.name()?;
                self.spaces();
                self.expect(b':')?;
                self.spaces();
                (name, false)
            } else {
                (format!("{index}"), true)
            };
            self.path.push(segment);
            self.value()?;
            self.path.pop();
            self.spaces();
            if self.peek()? == end {
                self.at += 1;
                return Some(());
            }
            self.expect(b',')?;
            self.spaces();
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        let start = self.at;
        self.string()?;
        let name: String = serde_json::from_slice(self.bytes.get(start..self.at)?).ok()?;
        Some(name.replace('~', "~0").replace('/', "~1"))
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn leaf(&mut self, start: usize) -> Option<()> {
        if self.document.leaves.len() >= MAX_LEAVES {
            return None;
        }
        let mut pointer = String::new();
        let mut place = String::new();
        for (segment, is_index) in &self.path {
            pointer.push('/');
            pointer.push_str(segment);
            place.push('/');
            place.push_str(if *is_index { "*" } else { segment });
        }
        self.document.between.push(self.bytes.get(self.last..start)?);
        self.document.leaves.push(Leaf { pointer, place, raw: self.bytes.get(start..self.at)? });
        self.last = self.at;
        Some(())
    }
}
