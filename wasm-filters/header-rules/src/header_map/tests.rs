use super::*;

/// The buffer in which Envoy passes `pairs`.
pub(crate) fn encode(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut buffer = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
    for (name, value) in pairs {
        buffer.extend(length(name));
        buffer.extend(length(value));
    }
    for (name, value) in pairs {
        buffer.extend_from_slice(name);
        buffer.push(0);
        buffer.extend_from_slice(value);
        buffer.push(0);
    }
    buffer
}

fn read(buffer: &[u8]) -> Result<Vec<Pair<'_>>, MalformedHeaders> {
    HeaderMap::new(buffer).pairs().collect()
}

#[test]
fn a_written_header_map_is_read_back() {
    let pairs: [(&[u8], &[u8]); 4] =
        [(b":path", b"/a?b"), (b"x-a", b"\xff\0\r\n"), (b"empty", b""), (b"", b"nameless")];
    assert_eq!(read(&encode(&pairs)), Ok(pairs.to_vec()));
    assert_eq!(read(&encode(&[])), Ok(vec![]));
    assert_eq!(read(b""), Ok(vec![]));
}

#[test]
fn every_cut_is_an_error() {
    let whole = encode(&[(b"a", b"1"), (b"bb", b"22")]);
    for end in 1..whole.len() {
        assert_eq!(read(&whole[..end]), Err(MalformedHeaders::Truncated), "cut at {end}");
    }
}

#[test]
fn lies_about_lengths_are_errors() {
    let mut longer = encode(&[(b"a", b"1")]);
    longer.push(0);
    assert_eq!(read(&longer), Err(MalformedHeaders::Overlong));

    let mut shifted = encode(&[(b"ab", b"1")]);
    shifted[4] = 1;
    assert_eq!(read(&shifted), Err(MalformedHeaders::Unterminated));

    for huge in [u32::MAX, u32::MAX / 8, 1 << 29] {
        let mut buffer = encode(&[(b"a", b"1")]);
        buffer[..4].copy_from_slice(&huge.to_le_bytes());
        assert_eq!(read(&buffer), Err(MalformedHeaders::Truncated), "{huge} pairs");
        let mut buffer = encode(&[(b"a", b"1")]);
        buffer[4..8].copy_from_slice(&huge.to_le_bytes());
        assert_eq!(read(&buffer), Err(MalformedHeaders::Truncated), "a name of {huge}");
    }
}

#[test]
fn nothing_follows_an_error() {
    let mut pairs = HeaderMap::new(&[9, 0, 0, 0]).pairs();
    assert_eq!(pairs.next(), Some(Err(MalformedHeaders::Truncated)));
    assert_eq!(pairs.next(), None);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(buffer: Vec<u8>) {
        let _ = read(&buffer);
    }
}
