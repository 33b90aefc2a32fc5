import Foundation

/// The files in Fixtures.
public enum Fixture {
    /// The text of one, by its path below Fixtures.
    public static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: url(path)), as: UTF8.self)
    }

    /// The text of one with other values in some places, each of which it must have exactly once: so it cannot change
    /// without the tests that stand on it.
    public static func text(_ path: String, replacing places: [(String, String)]) throws -> String {
        try places.reduce(try text(path)) { text, place in
            guard text.components(separatedBy: place.0).count == 2 else {
                throw ScenarioFailure(description: "Fixtures/\(path) must have this once: \(place.0)")
            }
            return text.replacingOccurrences(of: place.0, with: place.1)
        }
    }

    /// Those of a folder below Fixtures that end in this way, by name; none where there is no such folder.
    public static func files(in folder: String, withExtension suffix: String) -> [URL] {
        guard let folder = try? url(folder),
            let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        else { return [] }
        return files.filter { $0.pathExtension == suffix }.sorted { $0.path < $1.path }
    }

    /// Where one is, or a folder of them.
    public static func url(_ path: String) throws -> URL {
        var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let file = folder.appendingPathComponent("Fixtures/\(path)")
            if FileManager.default.fileExists(atPath: file.path) { return file }
        }
        throw ScenarioFailure(description: "no Fixtures/\(path) above \(#filePath)")
    }
}
