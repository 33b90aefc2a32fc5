import Foundation
import Testing

@testable import culvert

/// What counts as a change of a file that is named.
@Suite("Files that are watched")
struct FileWatchTests {
    /// A folder, and a watch over one path in it that reports each change.
    private final class Scene: Sendable {
        let folder: String
        let changes: AsyncStream<Void>
        private let looks: AsyncStream<Void>
        private let task: Task<Void, Never>

        init(_ names: [String], prepare: (String) throws -> Void) throws {
            let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try prepare(folder)
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
            let (looks, look) = AsyncStream.makeStream(of: Void.self)
            self.folder = folder
            changes = stream
            self.looks = looks
            let paths = names.map { "\(folder)/\($0)" }
            task = Task {
                let watch = FileWatch(period: .milliseconds(5)) {
                    look.yield()
                    return paths
                }
                await watch.run { continuation.yield() }
            }
        }

        deinit {
            task.cancel()
            try? FileManager.default.removeItem(atPath: folder)
        }

        /// The second look begins after the first one has recorded the files.
        func hasLooked() async {
            var iterator = looks.makeAsyncIterator()
            for _ in 0..<2 { _ = await iterator.next() }
        }

        func changed() async -> Bool {
            for await _ in changes { return true }
            return false
        }
    }

    private static func write(_ text: String, _ path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    @Test(
        "a link in the middle of the path that moves is a change, as Kubernetes renews certificates",
        .timeLimit(.minutes(1))
    )
    func kubernetes() async throws {
        let manager = FileManager.default
        let scene = try Scene(["tls.crt"]) { folder in
            for version in ["..1", "..2"] {
                try manager.createDirectory(atPath: "\(folder)/\(version)", withIntermediateDirectories: true)
                try Self.write("same", "\(folder)/\(version)/tls.crt")
            }
            // Both have one time and one length: the file itself is another one.
            for version in ["..1", "..2"] {
                try manager.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 1)],
                    ofItemAtPath: "\(folder)/\(version)/tls.crt"
                )
            }
            try manager.createSymbolicLink(atPath: "\(folder)/..data", withDestinationPath: "..1")
            try manager.createSymbolicLink(atPath: "\(folder)/tls.crt", withDestinationPath: "..data/tls.crt")
        }
        await scene.hasLooked()
        try manager.createSymbolicLink(atPath: "\(scene.folder)/..data_tmp", withDestinationPath: "..2")
        #expect(rename("\(scene.folder)/..data_tmp", "\(scene.folder)/..data") == 0)
        #expect(await scene.changed())
    }

    @Test("new contents are a change, and so is a file behind a link", .timeLimit(.minutes(1)))
    func contents() async throws {
        let scene = try Scene(["link"]) { folder in
            try Self.write("one", "\(folder)/file")
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: "file")
        }
        await scene.hasLooked()
        try Self.write("longer", "\(scene.folder)/file")
        #expect(await scene.changed())
    }
}
