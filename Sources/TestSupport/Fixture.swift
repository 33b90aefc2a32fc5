import Foundation

/// The files in Fixtures.
public enum Fixture {
    /// The text of one, by its path below Fixtures.
    public static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: url(path)), as: UTF8.self)
    }

    /// Where one is, or a folder of them.
    public static func url(_ path: String) throws -> URL {
        var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let file = folder.appendingPathComponent("Fixtures/\(path)")
            if FileManager.default.fileExists(atPath: file.path) { return file }
        }
        throw Disappointment(description: "no Fixtures/\(path) above \(#filePath)")
    }
}
