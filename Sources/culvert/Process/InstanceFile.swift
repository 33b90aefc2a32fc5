import Platform
import Tunnel

/// Reads the value of `--instance`, or the file that holds it.
enum InstanceFile {
    /// The limit of the file's length in bytes, beyond any value with its line end.
    static let longestFile = 1_024
    private static let what = "instance file"
    private static let remedy = "choose a folder that the client can write"

    /// The value of `--instance`: the text itself, or the content of the file if the text is a path with a `/`.
    ///
    /// - Parameter isTrial: whether to check only the folder of a missing file, and not to make the file.
    static func value(_ text: String, isTrial: Bool) throws(Failure) -> String {
        let status: ExitStatus = text.contains("/") ? .badData : .configuration
        let value = text.contains("/") ? try content(text, isTrial: isTrial) : text
        let lengths = ClientInstance.lengths
        guard value.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }), lengths.contains(value.count)
        else {
            let place = text.contains("/") ? "the instance file \(text)" : "--instance"
            throw Failure(status, "\(place) must hold 1 to \(lengths.upperBound) printable characters in one line")
        }
        return value
    }

    private static func content(_ path: String, isTrial: Bool) throws(Failure) -> String {
        if TextFile.isMissing(path) {
            if isTrial {
                try checkFolder(of: path)
                return "yet to be made"
            }
            try make(path)
        }
        let text = try TextFile.read(path, what: "instance file", limit: longestFile)
        return text.last?.isNewline == true ? String(text.dropLast()) : text
    }

    /// Makes the file with a random value. If two processes do this at once, both read the same value.
    private static func make(_ path: String) throws(Failure) {
        var generator = SystemRandomNumberGenerator()
        let value = (0..<2).map { _ in String(UInt64.random(in: .min ... .max, using: &generator), radix: 36) }.joined()
        _ = try PrivateFile.make(path, line: value, what: what, remedy: remedy)
    }

    private static func checkFolder(of path: String) throws(Failure) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard access(folder, W_OK | X_OK) == 0 else { throw PrivateFile.failure(path, what, remedy) }
    }
}
