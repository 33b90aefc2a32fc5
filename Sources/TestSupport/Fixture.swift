import Foundation

/// The files in Fixtures.
public enum Fixture {
    /// The text of one, by its path below Fixtures.
    public static func text(_ path: String) throws -> String {
        var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let file = folder.appendingPathComponent("Fixtures/\(path)")
            if let bytes = try? Data(contentsOf: file) { return String(decoding: bytes, as: UTF8.self) }
        }
        throw Disappointment(description: "no Fixtures/\(path) above \(#filePath)")
    }
}
