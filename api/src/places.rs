//! Places for HTTP connections by address, so that one client cannot take them all: an HTTP/2 connection that only
//! answers pings costs its client next to nothing and would hold its place for ever.
//!
//! Not counted behind a proxy, where every connection comes from the proxy's address.

use crate::http::client;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// HTTP connections one address may have open (IPv6: one /64). A browser opens six; a large office behind one address
/// still fits. A socket gives its place back when it is upgraded.
const PER_ADDRESS: usize = 256;

/// Connections by address. A cheap clone.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<String, usize>>>);

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    places: Places,
    bucket: String,
}

impl Places {
    /// A place, unless the address has as many as it may.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let bucket = client::bucket(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(bucket.clone()).or_insert(0);
        if *count >= PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), bucket })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.bucket) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.bucket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_the_places_of_others_and_gives_its_own_back() {
        let places = Places::default();
        let (greedy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let taken: Vec<_> = (0..PER_ADDRESS).map(|_| places.take(greedy).unwrap()).collect();
        assert!(places.take(greedy).is_none() && places.take(other).is_some());
        drop(taken);
        assert!(places.take(greedy).is_some());
        assert!(places.0.lock().unwrap().is_empty(), "nothing is remembered of who has gone");
    }
}
