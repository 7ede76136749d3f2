//! Options whose value is one of a few names, each with a number.

/// In the place of a number: the value has a name only.
pub(crate) const NAME_ONLY: u8 = u8::MAX;

/// The values of an option. A value is written by its name or its number.
pub(crate) struct Choice<T: 'static> {
    /// Value, number and name of each.
    pub(crate) known: &'static [(T, u8, &'static str)],
}

/// Why a value is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such value.
    Invalid,
    /// It is understood but not taken, for this reason.
    Because(&'static str),
}

impl<T: Copy + PartialEq> Choice<T> {
    /// The value written as `text`.
    pub(crate) fn parse(&self, text: &str) -> Result<T, Refusal> {
        let written =
            |number: u8, name: &str| name == text || number != NAME_ONLY && number.to_string() == text;
        let found = self.known.iter().find(|(_, number, name)| written(*number, name));
        found.map(|(value, ..)| *value).ok_or(Refusal::Invalid)
    }

    fn entry(&self, value: T) -> &(T, u8, &'static str) {
        self.known.iter().find(|(known, ..)| *known == value).unwrap_or(&self.known[0])
    }

    /// The value's name.
    pub(crate) fn name(&self, value: T) -> &'static str {
        self.entry(value).2
    }

    /// The value's number.
    pub(crate) fn number(&self, value: T) -> u8 {
        self.entry(value).1
    }

    /// All values, for an error message.
    pub(crate) fn allowed(&self) -> String {
        let written = |(_, number, name): &(T, u8, &str)| match *number {
            NAME_ONLY => (*name).to_owned(),
            number => format!("{name} ({number})"),
        };
        let names: Vec<String> = self.known.iter().map(written).collect();
        names.join(", ")
    }
}
