import Foundation

/// Reads files in Fixtures.
public enum Fixture {
    /// The text of a file, by its path below Fixtures.
    public static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: url(path)), as: UTF8.self)
    }

    /// The text of a file with replaced values. The file must contain each original exactly once, so a change of the
    /// file requires a change of its tests.
    public static func text(_ path: String, replacing places: [(String, String)]) throws -> String {
        try places.reduce(try text(path)) { text, place in
            guard text.components(separatedBy: place.0).count == 2 else {
                throw ScenarioFailure(description: "Fixtures/\(path) must have this once: \(place.0)")
            }
            return text.replacingOccurrences(of: place.0, with: place.1)
        }
    }

    /// The files of a folder with a suffix, by name; none if the folder is missing.
    public static func files(in folder: String, withExtension suffix: String) -> [URL] {
        guard let folder = try? url(folder),
            let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        else { return [] }
        return files.filter { $0.pathExtension == suffix }.sorted { $0.path < $1.path }
    }

    /// The location of a file or a folder.
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
