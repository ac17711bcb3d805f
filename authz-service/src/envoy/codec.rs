//! Carries checks and their answers over gRPC: a [`Question`] comes in, an answer goes out as the bytes that
//! it already is.

use bytes::{Buf as _, BufMut as _};
use prost::Message as _;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::envoy::question::Question;

/// The initial buffer for every check and every answer. Nearly all fit; tonic's own 8 KiB, twice for each
/// check, cost more than reading it.
const BUFFER_BYTES: usize = 2_048;

/// From this size on an answer is sent in pieces. No answer is so large.
const YIELD_BYTES: usize = 32 * 1_024;

/// The codec of `Check`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CheckCodec;

impl Codec for CheckCodec {
    type Encode = Vec<u8>;
    type Decode = Question;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for CheckCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, answer: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&answer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for CheckCodec {
    type Item = Question;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Question>, Status> {
        // One buffer that all texts of the check share.
        let message = buffer.copy_to_bytes(buffer.remaining());
        Question::decode(message).map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
