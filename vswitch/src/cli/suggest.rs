//! The nearest known word for a misspelt one.

/// The candidate that `word` was probably meant to be: the one with the fewest wrong letters, if they are few.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distances = candidates.into_iter().map(|name| (strsim::damerau_levenshtein(&word, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 4).then_some(name)
}

/// `; did you mean "x"?`, or nothing.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_only() {
        let words = ["add-br", "add-bond", "miimon", "mode"];
        assert_eq!(nearest("add-bnod", words), Some("add-bond"));
        assert_eq!(nearest("mimon", words), Some("miimon"));
        assert_eq!(nearest("zzz", words), None);
        assert_eq!(hint("MODES", words), "; did you mean \"mode\"?");
    }
}
