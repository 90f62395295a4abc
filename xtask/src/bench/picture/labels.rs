//! Labels one below the other, none on another.

/// Where labels stand that want to stand at these heights: at least `gap` apart, each as near as may
/// be, all between `top` and `bottom` as far as there is room.
pub(crate) fn spread(wanted: &[i32], gap: i32, top: i32, bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|n| wanted[*n]);
    let lowest = (bottom - gap * (wanted.len() as i32 - 1)).max(top);
    let mut places = vec![0; wanted.len()];
    let mut next = 0;
    for group in groups(order.iter().map(|n| wanted[*n]), gap) {
        for _ in 0..group.count {
            places[order[next]] = group.start().clamp(top, lowest) + gap * next as i32;
            next += 1;
        }
    }
    places
}

/// Labels that touch. Heights are less a gap for each label above, so that those of one group are
/// equal.
struct Group {
    sum: i32,
    count: i32,
}

impl Group {
    fn start(&self) -> i32 {
        self.sum.div_euclid(self.count)
    }
}

/// Isotonic regression: neighbours that stand too near become one group around their mean.
fn groups(ascending: impl Iterator<Item = i32>, gap: i32) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (height, above) in ascending.zip(0..) {
        let mut group = Group { sum: height - gap * above, count: 1 };
        while let Some(last) = groups.pop_if(|last| last.start() >= group.start()) {
            group = Group { sum: group.sum + last.sum, count: group.count + last.count };
        }
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn those_far_apart_stay() {
        assert_eq!(spread(&[80, 10, 40], 15, 0, 100), [80, 10, 40]);
        assert_eq!(spread(&[], 15, 0, 100), [0; 0]);
    }

    #[test]
    fn those_too_near_spread_around_their_middle() {
        assert_eq!(spread(&[50, 50, 50, 90], 10, 0, 100), [40, 50, 60, 90]);
    }

    #[test]
    fn none_leaves_the_room() {
        assert_eq!(spread(&[99, 98, 0, 1], 10, 0, 100), [100, 90, 0, 10]);
        assert_eq!(spread(&[5, 6, 7], 10, 0, 10), [0, 10, 20]);
    }
}
