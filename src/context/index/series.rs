//! Finds contexts that write the same line for an agent, so that its server can't tell them apart.

use super::hashed::Hashed;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// The lines of each agent, with the number of contexts that write each line.
#[derive(Debug, Default)]
pub(super) struct Series {
    agents: Vec<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    // By the hash of a line.
    contexts: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    clashing: usize,
}

impl Series {
    /// Adds the line of a context for each agent.
    pub(super) fn enter(&mut self, lines: &[u64]) {
        self.agents.resize_with(self.agents.len().max(lines.len()), Lines::default);
        for (agent, line) in self.agents.iter_mut().zip(lines) {
            let contexts = agent.contexts.entry(*line).or_default();
            *contexts += 1;
            // The second context makes the first one clash, too.
            agent.clashing += if *contexts == 2 { 2 } else { usize::from(*contexts > 2) };
        }
    }

    /// Removes what [`enter`](Self::enter) added.
    pub(super) fn leave(&mut self, lines: &[u64]) {
        for (agent, line) in self.agents.iter_mut().zip(lines) {
            let Some(contexts) = agent.contexts.get_mut(line) else { continue };
            agent.clashing -= if *contexts == 2 { 2 } else { usize::from(*contexts > 2) };
            *contexts -= 1;
            if *contexts == 0 {
                agent.contexts.remove(line);
            }
        }
    }

    /// Returns the number of contexts that share their line with another one, for an agent.
    pub(super) fn clashing(&self, agent: usize) -> usize {
        self.agents.get(agent).map_or(0, |lines| lines.clashing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_of_one_line_are_counted_for_as_long_as_they_are_several() {
        let mut series = Series::default();
        let clashing = |series: &Series| [series.clashing(0), series.clashing(1)];
        for (lines, expected) in [([1, 1], [0, 0]), ([2, 1], [0, 2]), ([3, 1], [0, 3]), ([1, 4], [2, 3])] {
            series.enter(&lines);
            assert_eq!(clashing(&series), expected);
        }
        for (lines, expected) in [([2, 1], [2, 2]), ([1, 4], [0, 2]), ([1, 1], [0, 0]), ([3, 1], [0, 0])] {
            series.leave(&lines);
            assert_eq!(clashing(&series), expected);
        }
        assert!(series.agents.iter().all(|agent| agent.contexts.is_empty()));
        assert_eq!(series.clashing(7), 0);
    }
}
