import Foundation

/// PySocks, a SOCKS client library, with the Python that has it.
public enum PySocks {
    /// The Debian package.
    public static let package = "python3-socks"

    /// The interpreter that imports the library; nil if there is none. Another Python may precede Debian's in the path.
    public static let interpreter: String? = [Program.python.path, "/usr/bin/python3"].compactMap { $0 }.first {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: $0)
        process.arguments = ["-c", "import socks"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
