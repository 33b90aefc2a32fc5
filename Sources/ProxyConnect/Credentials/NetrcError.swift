/// An error in a `.netrc` file. Names the line, counted from 1, and contains none of its text.
public enum NetrcError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A quote that is not closed on its line, or is followed by text without a space.
    case malformedQuote(line: Int)
    /// A keyword without a value. The line is the keyword's.
    case missingValue(line: Int)
    /// A control character in the login or password of the entry that begins on the line.
    case controlCharacter(line: Int)

    /// The line and the reason.
    public var description: String {
        switch self {
        case .malformedQuote(let line):
            "netrc, line \(line): a quoted value must end with a quote and a space or line end after it"
        case .missingValue(let line):
            "netrc, line \(line): the keyword has no value"
        case .controlCharacter(let line):
            "netrc, line \(line): a control character in this entry's login or password"
        }
    }
}
