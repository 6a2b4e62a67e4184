//! Scripted peers for tests of the proxy.
