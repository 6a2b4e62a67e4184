//! Raw clients and scripted upstreams for tests of the data plane: who sends what, who answers what.
//!
//! Everything blocks, on threads of its own, with a deadline; ports are given by the kernel. A step that does
//! not come to pass panics and says what had been seen.
//!
//! ```
//! use pylos_testkit::{Connection, Upstream};
//!
//! let upstream = Upstream::serving(|mut connection, _number| {
//!     let request = connection.read_request();
//!     assert_eq!(request.start_line(), "GET /hello HTTP/1.1");
//!     connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
//! });
//! let mut client = Connection::to(upstream.address());
//! client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
//! assert_eq!(client.read_response().body, b"hi");
//! client.expect_end();
//! ```

mod connection;
mod message;
mod upstream;

pub use connection::{Connection, DEADLINE};
pub use message::Message;
pub use upstream::Upstream;
