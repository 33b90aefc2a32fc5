import Mux

/// A token that a test knows, with its keys, which cost some milliseconds.
struct Identity: Sendable {
    let name: String
    let token: Token
    let credentials: Credentials

    private init(_ name: String, _ token: Token) {
        self.name = name
        self.token = token
        self.credentials = token.credentials()
    }

    private init(_ name: String) {
        // A test's own text is never too short.
        self.init(name, (try? Token("the token of \(name), long enough")) ?? .none)
    }

    /// Two clients that the server knows.
    static let alice = Identity("alice")
    static let bob = Identity("bob")
    /// One that it does not.
    static let mallory = Identity("mallory")
}
