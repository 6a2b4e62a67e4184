//! The verdict of active checks: so many failures in a row take a target out, so many successes bring it back.

/// One target's checks.
#[derive(Debug, Clone)]
pub struct FallRise {
    fall: u32,
    rise: u32,
    up: bool,
    /// Results in a row that speak against `up`.
    streak: u32,
}

/// What an observation changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Up,
    Down,
}

impl FallRise {
    /// Starts up: a target takes traffic until its checks say otherwise. Counts of 0 mean 1.
    pub fn new(fall: u32, rise: u32) -> Self {
        FallRise { fall: fall.max(1), rise: rise.max(1), up: true, streak: 0 }
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether the last results speak against what is held true.
    pub fn is_changing(&self) -> bool {
        self.streak > 0
    }

    pub fn observe(&mut self, ok: bool) -> Option<Change> {
        if ok == self.up {
            self.streak = 0;
            return None;
        }
        self.streak += 1;
        if self.streak < if self.up { self.fall } else { self.rise } {
            return None;
        }
        (self.up, self.streak) = (ok, 0);
        Some(if ok { Change::Up } else { Change::Down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` and `-` are results; `U` and `D` follow the result that changed the verdict.
    fn chart(fall: u32, rise: u32, results: &str) -> String {
        let (mut health, mut chart) = (FallRise::new(fall, rise), String::new());
        for result in results.chars() {
            chart.push(result);
            match health.observe(result == '+') {
                Some(Change::Up) => chart.push('U'),
                Some(Change::Down) => chart.push('D'),
                None => {}
            }
            assert_eq!(health.is_up(), chart.rfind('U') >= chart.rfind('D'));
        }
        chart
    }

    #[test]
    fn charts() {
        assert_eq!(chart(3, 2, "+--+---+-++-"), "+--+---D+-++U-");
        assert_eq!(chart(1, 1, "-+-+"), "-D+U-D+U");
        assert_eq!(chart(0, 0, "-+"), "-D+U");
        assert_eq!(chart(2, 3, "--++-+++"), "--D++-+++U");
    }
}
