import Foundation
import Platform
import Testing

@testable import TunnelCore

@Suite("Private folders")
struct PrivateFolderTests {
    @Test(
        "the folder of a path is what stands before its last name",
        arguments: [
            ("/a/b", "/a"), ("/a", "/"), ("a", "."), ("a/b/", "a"), ("/", nil), ("", nil), ("//", nil), ("./a", "."),
        ] as [(String, String?)]
    )
    func parent(path: String, expected: String?) {
        #expect(PrivateFolder.parent(of: path) == expected)
    }

    @Test("missing folders are made for their user alone, existing ones stay, and a file in the way is an error")
    func make() throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(mkdir(folder, 0o755) == 0 && chmod(folder, 0o755) == 0)
        #expect(PrivateFolder.make("\(folder)/a/b/") == nil)
        #expect(PrivateFolder.make("\(folder)/a/b") == nil)
        for (name, expected) in [("", 0o755), ("/a", 0o700), ("/a/b", 0o700)] {
            let mode = try FileManager.default.attributesOfItem(atPath: folder + name)[.posixPermissions] as? Int
            #expect(mode == expected, "\(name)")
        }
        try Data().write(to: URL(fileURLWithPath: "\(folder)/file"))
        #expect(PrivateFolder.make("\(folder)/file/a") == "Not a directory")
        #expect(PrivateFolder.make("\(folder)/file") == "Not a directory")
    }
}
