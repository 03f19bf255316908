//! The few conversions between counts, times and ratios, in one place, so that casts stay out of the scenarios.

use std::time::Duration;

/// A count as a float. Counts here stay far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "no count in a run comes near 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A length as a float.
pub(crate) fn float_len(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

/// How many per second.
pub(crate) fn rate(count: u64, over: Duration) -> f64 {
    if over.is_zero() { 0.0 } else { float(count) / over.as_secs_f64() }
}

/// Microseconds of `time` for each of `count`; none if nothing was counted.
pub(crate) fn micros_each(time: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| time.as_secs_f64() * 1e6 / float(count))
}

/// Nanoseconds, saturating after 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A number below `bound` (0 if that is 0): good enough to spread load and returns.
pub(crate) fn random_below(bound: usize) -> usize {
    let bits = uuid::Uuid::now_v7().as_u64_pair().1 & 0xffff_ffff;
    usize::try_from(bits).unwrap_or(0) % bound.max(1)
}

/// The middle value; the mean of the two middle ones when there is an even number.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn nothing_counted_costs_nothing_each() {
        assert_eq!(micros_each(Duration::from_secs(1), 0), None);
        assert_eq!(micros_each(Duration::from_millis(1), 1_000), Some(1.0));
    }
}
