//! Who is at the other end? The client's address, the public scheme, and the request's id.

use super::inquiry::Inquiry;
use pylos_core::message::forwarded::client_address;
use pylos_core::message::names::Known;

/// Longest id that a trusted proxy may give.
const MAX_ID: usize = 128;

pub(crate) fn identify(q: &mut Inquiry<'_>) {
    let request = &mut *q.request;
    let (peer, trusted) = (q.peer, &q.table.settings.trusted);
    let values = request.fields.all(request.block.bytes(), Known::XForwardedFor);
    let client = client_address(peer, trusted, values);
    let said = client.peer_trusted.then(|| request.first(Known::XForwardedProto)).flatten();
    let https = said.map_or(q.secure, |proto| proto.eq_ignore_ascii_case(b"https"));
    let said = request.fields.first(request.block.bytes(), Known::XRequestId);
    match said.filter(|id| client.peer_trusted && is_sound_id(id)) {
        Some(id) => {
            request.id.clear();
            request.id.extend_from_slice(id);
        }
        None => q.fresh_id.write_id(&mut request.id),
    }
    request.https = https;
    request.client = Some(client);
}

/// Visible ASCII without quotes and backslash: harmless in fields and in logs.
fn is_sound_id(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && id.iter().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(b))
}
