import Foundation
import Tunnel

@testable import culvert

/// Configurations with a table `[limits]`.
enum LimitFile {
    /// The project's folder.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let serverStart = "listen = \"127.0.0.1:1\"\n"
    private static let clientStart = "url = \"ws://h\"\ntunnel = [{ remote = \"1\", local = \"x:1\" }]\n"

    /// Calls `body` with the path of a file that has this text.
    static func with<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString).toml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    /// A server's configuration; `limits` begins in line 2.
    static func server(_ limits: String) throws -> ServerConfiguration {
        try with(serverStart + limits) { try ServerCommand.parse(["--config", $0]).configuration() }
    }

    /// A client's configuration; `limits` begins in line 3.
    static func client(_ limits: String) throws -> ClientConfiguration {
        try with(clientStart + limits) { try ClientCommand.parse(["--config", $0]).configuration() }
    }

    /// The error about a configuration; nil if it is valid.
    static func problem(_ body: () throws -> some Any) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            let failure = Failure(error)
            return failure.status == .configuration ? failure.description : "another failure: \(failure)"
        }
    }
}
