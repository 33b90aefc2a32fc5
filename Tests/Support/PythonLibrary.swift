import Foundation

/// A library of Python's, with the Python that has it.
public struct PythonLibrary: Sendable {
    /// The name of its module.
    public let module: String
    /// The Debian package.
    public let package: String
    /// The interpreter that imports the library; nil if there is none. Another Python may precede Debian's in the path.
    public let interpreter: String?

    /// WebSockets, at both ends.
    public static let websockets = PythonLibrary("websockets", package: "python3-websockets")

    init(_ module: String, package: String) {
        (self.module, self.package) = (module, package)
        interpreter = [Program.python.path, "/usr/bin/python3"].compactMap { $0 }.first {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: $0)
            process.arguments = ["-c", "import \(module)"]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return false }
            process.waitUntilExit()
            return process.terminationStatus == 0
        }
    }
}
