//! Places for connections by address, so that one client cannot take all there are: a handshake that is never finished, or
//! an HTTP/2 connection that only answers pings, costs its client next to nothing.
//!
//! Not counted behind a proxy, where every connection comes from the proxy's address.

use crate::forwarded::network;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Connections by address. A cheap clone.
#[derive(Clone, Debug)]
pub struct Places {
    each: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    network: IpAddr,
}

impl Places {
    /// At most `each` places for one address (IPv6: one /64).
    pub fn new(each: usize) -> Self {
        Self { each, counts: Arc::default() }
    }

    /// A place, unless the address has as many as it may.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_insert(0);
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_the_places_of_others_and_gives_its_own_back() {
        let places = Places::new(3);
        let (greedy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let taken: Vec<_> = (0..3).map(|_| places.take(greedy).unwrap()).collect();
        assert!(places.take(greedy).is_none() && places.take(other).is_some());
        drop(taken);
        assert!(places.take(greedy).is_some());
        assert!(places.counts.lock().unwrap().is_empty(), "nothing is remembered of who has gone");
    }
}
