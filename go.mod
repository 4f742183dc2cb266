module github.com/spawnward/spawnward

go 1.26
