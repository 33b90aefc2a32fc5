import Foundation

/// Compares the lines that a test produces with a file in Fixtures.
///
/// `CULVERT_RECORD=1` writes the file again. The commit must explain the change.
public enum GoldenFile {
    /// Compares `lines` with the file at `path` below Fixtures.
    ///
    /// - Returns: the first line that differs, with both texts; nil if none does.
    /// - Throws: if the file is missing.
    public static func difference(of lines: [String], from path: String) throws -> String? {
        if ProcessInfo.processInfo.environment["CULVERT_RECORD"] == "1" { try record(lines, at: path) }
        let text = try Fixture.text(path).utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var expected = text.map { String(decoding: $0, as: UTF8.self) }
        if expected.last == "" { expected.removeLast() }
        for number in 0..<max(lines.count, expected.count) {
            let (wanted, got) = (line(number, of: expected), line(number, of: lines))
            if wanted != got { return "Fixtures/\(path), line \(number + 1):\n  expected \(wanted)\n  got      \(got)" }
        }
        return nil
    }

    private static func line(_ number: Int, of lines: [String]) -> String {
        lines.indices.contains(number) ? lines[number] : "(no such line)"
    }

    private static func record(_ lines: [String], at path: String) throws {
        let file = try Fixture.url(".").appendingPathComponent(path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: file)
    }
}
