//! HTTP/1.1 on the wire, strict and without I/O (RFC 9112). Bytes go in, an index of offsets comes out.

pub mod fields;
pub mod head;
pub mod framing;
pub mod chunked;

pub use chunked::{ChunkError, ChunkedDecoder, Step};
pub use fields::{FieldError, FieldsParser, is_token};
pub use framing::{FramingError, Length};
pub use head::{HeadError, HeadLimits, HeadParser, RequestLine, StatusLine};
