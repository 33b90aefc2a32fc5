/// Runs proxy scripts.
///
/// A script is a program of unknown origin. An implementation must turn a crash, an endless loop and an excess of memory
/// into an error, within a bounded time. The executable of this project therefore runs each script in a child process.
public protocol ProxyScriptEngine: Sendable {
    /// Evaluates `FindProxyForURL(url, host)` of a script.
    ///
    /// - Parameters:
    ///   - script: the text of the script.
    ///   - url: the first argument of the function.
    ///   - host: the second argument of the function.
    /// - Returns: the result as text, such as `PROXY proxy.example:3128; DIRECT`.
    /// - Throws: ``ProxyScriptFailure``; any error, without delay, if the task is cancelled.
    func answer(of script: [UInt8], url: String, host: String) async throws -> String
}

/// The reason why a proxy script could not be read or run.
public struct ProxyScriptFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The reason.
    public var reason: String
    /// One remedy.
    public var remedy: String
    /// Whether a later try cannot help.
    public var isConfigurationError: Bool

    /// A failure in words for a person, which are not escaped any further.
    public init(reason: String, remedy: String, isConfigurationError: Bool = false) {
        self.reason = reason
        self.remedy = remedy
        self.isConfigurationError = isConfigurationError
    }

    /// The reason and the remedy.
    public var description: String { "\(reason); \(remedy)" }
}
