import TunnelAdmin
import TunnelCore

/// Something that can run proxy scripts.
///
/// Scripts are strangers' programs, and an engine may crash or never end: whoever implements it sees to it that this
/// ends in an error, in bounded time, and leaves the process alone.
public protocol ProxyScriptEngine: Sendable {
    /// What the script's `FindProxyForURL(url, host)` returns, as text.
    ///
    /// - Throws: ``ProxyScriptFailure``. When the task is cancelled, any error, soon.
    func answer(of script: [UInt8], url: String, host: String) async throws -> String
}

/// Why a proxy script could not be had or run.
public struct ProxyScriptFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What happened.
    public var reason: String
    /// One thing to do about it.
    public var remedy: String
    /// True where trying again later cannot help.
    public var isConfigurationError: Bool

    /// A failure in words for a person; nothing in it is escaped any further.
    public init(reason: String, remedy: String, isConfigurationError: Bool = false) {
        self.reason = reason
        self.remedy = remedy
        self.isConfigurationError = isConfigurationError
    }

    /// The reason and the remedy.
    public var description: String { "\(reason); \(remedy)" }
}
