import HTTP1

/// Why a name has led to no address.
package enum NameFailure: Error, Hashable, CustomStringConvertible {
    /// The name does not exist, or has no address.
    case notFound
    /// No name server has answered, or it could not.
    case noAnswer
    /// All threads for such lookups wait for other answers.
    case busy
    /// What was given cannot be a name.
    case unusable

    /// Without the name, which stands before it or behind it.
    package var description: String {
        switch self {
        case .notFound: "there is no such name"
        case .noAnswer: "no name server answered"
        case .busy: "other lookups, which are not answered, take up all threads"
        case .unusable: "it is not a host name"
        }
    }

    /// For a person.
    package func sentence(about name: String) -> String {
        switch self {
        case .notFound: "no address found for \(name)"
        case .noAnswer: "no address found for \(name), because no name server answered"
        case .busy: "no address found for \(name), because other lookups, which are not answered, take up all threads"
        case .unusable: "\(name.escapedForDisplay(limit: 80)) is not a host name"
        }
    }
}
