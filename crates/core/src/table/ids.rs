//! Places in the table's lists. An id is only meaningful with the table that gave it.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl $name {
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// Tables are far smaller than 2^32: their text comes over a socket with a bounded length.
            pub fn at(index: usize) -> Self {
                $name(u32::try_from(index).expect("a table has fewer than 2^32 objects"))
            }
        }
    )*};
}

ids! {
    /// A listener of [`super::Table::listeners`].
    ListenerId
    /// An upstream of [`super::Table::upstreams`].
    UpstreamId
    /// A policy of [`super::Table::policies`].
    PolicyId
    /// A route of [`super::Table::routes`].
    RouteId
    /// Rules of [`super::Table::tls`].
    TlsId
}
