#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What the process has from the one that started it.
enum ProcessEnvironment {
    /// All variables.
    static var all: [String: String] { ProcessInfo.processInfo.environment }

    /// The user's home by the user database, and not by `HOME`.
    static var home: String { FileManager.default.homeDirectoryForCurrentUser.path }
}
